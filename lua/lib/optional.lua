-- Reads arguments that may be absent: such a one travels as "0", or as "1" followed by its text.

-- The decoder of a kind, for when it is optional; what is absent is false.
return function(decode)
  return function(text)
    if text == "0" then
      return false
    elseif text:byte() ~= 49 then
      return nil, "is not marked as absent or present"
    end
    return decode(text:sub(2))
  end
end
