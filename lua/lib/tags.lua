-- Tags as they are found again: for each of them the digest of its name and that of name and value.
local keys = require("lib.keys")
local pending = require("lib.pending")
local record = require("lib.record")

local tags = {}

-- A digest is 22 characters; the second one of each pair names an index.
local pair = "^......................(......................)$"

local function each(text, visit)
  for item in text:gmatch("[^,]+") do
    visit(keys.tagged(item:match(pair)))
  end
end

-- Remembers the tags of a new execution, which is committed after this.
function tags.enter(x, text)
  record.set(x, "tagged", 1)
  redis.call("SET", keys.tag_digests(x.id), text)
  each(text, function(key)
    pending.add_row(key, x.id, 0)
  end)
end

-- Forgets the tags of an execution.
function tags.leave(x)
  local text = redis.call("GET", keys.tag_digests(x.id))
  each(text or "", function(key)
    pending.remove_row(key, x.id)
  end)
  redis.call("DEL", keys.tag_digests(x.id))
end

-- Whether the execution has a tag of that name, by the digest of the name; nil when what it was
-- tagged with is gone.
function tags.named(id, name)
  local text = redis.call("GET", keys.tag_digests(id))
  if not text then
    return nil
  end
  return ("," .. text):find("," .. name, 1, true) ~= nil
end

return tags
