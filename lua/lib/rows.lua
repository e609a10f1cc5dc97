-- Shapes of the rows that operations answer with.
return {
  -- What a worker needs to begin: its fence, its work, and when the lease ends; `lib/claimed`
  -- writes it in this order.
  claimed = {
    "id:text",
    "kind:text",
    "lane:text",
    "task:text",
    "attempt:int",
    "attempt_type:text",
    "lease_id:text",
    "epoch:int",
    "lease_ms:int",
    "expires_at:int",
    "attempt_deadline_at:int?",
    "created_at:int",
    "input:bytes?",
  },
  -- An accepted signal; `lib/signals` builds it in this order. One that does not parse has no id,
  -- and nothing after it.
  signal = {
    "position:int",
    "id:text?",
    "waitpoint:text",
    "name:text",
    "category:text",
    "source:text",
    "encoding:text",
    "accepted_at:int",
    "created_at:int?",
    "effect:text",
    "identity:text",
    "correlation:text",
    "key:text",
    "payload:bytes?",
    "left_out:flag",
  },
  -- A flow, one of its members with the words of its group, an edge, what an upstream came to.
  flow = { "id:text", "created_at:text?", "state:text?" },
  member = { "id:text", "task:text", "state:text", "group:text?" },
  edge = {
    "upstream:text",
    "downstream:text",
    "kind:text",
    "vote:text",
    "created_at:int",
    "name:text",
  },
  input = {
    "id:text",
    "name:text",
    "task:text",
    "state:text",
    "reason:text",
    "ending:bytes?",
  },
  -- An execution that fits a search, as texts that whoever asked has to read; `damage` says which
  -- key and field of it are not as they were written, and why.
  found = {
    "id:text",
    "state:text?",
    "lane:text?",
    "task:text?",
    "created_at:text?",
    "updated_at:text?",
    "ended_at:text?",
    "attempt:text?",
    "reason:text?",
    "flow:text?",
    "damage:text?",
  },
  -- What another partition has to be told about a slot; `ops/limit/owed` builds it in this order.
  owed = {
    "row:text",
    "kind:text",
    "partition:int",
    "limit:text",
    "key:text?",
    "share:text?",
    "id:text",
    "ticket:int",
    "created_at:int",
    "priority:int",
  },
  suspended = { "id:text", "score:int", "reason:text?", "suspended_at:text?" },
  -- A logged report that its budget has not answered to.
  unsettled = {
    "id:text",
    "seq:int",
    "settled:int",
    "budget:text",
    "mode:text",
    "amounts:text",
    "reservation:text?",
  },
  -- What a partition has yet to hear of a budget.
  news = { "budget:text", "version:int", "action:text?", "partition:int" },
}
