-- Decoders of the kinds of arguments that streams have; the others stand in lib/op.
local limits = require("generated.limits")

return {
  frame = function(text)
    if #text > limits.frame_bytes then
      return nil, "is larger than 64 KiB"
    end
    return text
  end,
  document = function(text)
    if #text > limits.summary_bytes then
      return nil, "is larger than 256 KiB"
    end
    return text
  end,
  correlation = function(text)
    if #text > limits.correlation_bytes then
      return nil, "is longer than 256 bytes"
    end
    return text
  end,
  frame_mode = function(text)
    if not limits.frame_modes[text] then
      return nil, "is not a mode of frames"
    end
    return text
  end,
  frame_encoding = function(text)
    if not limits.frame_encodings[text] then
      return nil, "is not an encoding"
    end
    return text
  end,
}
