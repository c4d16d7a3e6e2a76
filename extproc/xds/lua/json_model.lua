-- Where in a JSON body the text stands that names its model. Everything else in the body stays as it is.
--
-- One pass over the bytes, without recursion; 60 MB take up to a second, of text a tenth of that. LuaJIT compiles what
-- looks at single bytes, and loops without calls of its library; it compiles nothing that repeats them, so that members
-- are dear and have to be few. Only the outer object is judged: what is wrong further in is for the model server to say,
-- as it would without us. Must stay true: of a valid JSON text (RFC 8259) the place is exact, and whatever the bytes are
-- nothing is raised.

local byte, char, find, gsub, lower, sub = string.byte, string.char, string.find, string.gsub, string.lower, string.sub

local QUOTE, BACKSLASH, COLON, COMMA = 0x22, 0x5c, 0x3a, 0x2c
local SPACE, TAB, NEWLINE, RETURN = 0x20, 0x09, 0x0a, 0x0d
local LETTER_U = 0x75
local OBJECT, END_OF_OBJECT, ARRAY, END_OF_ARRAY = 0x7b, 0x7d, 0x5b, 0x5d
local BYTE_ORDER_MARK = "\239\187\191"

local MEMBERS = 1000 -- of the outer object; a million of them kept Envoy's thread for half a second
local SHORT = 64 -- characters of a string that are looked at before the rest is searched through

local SCALAR = {} -- the characters of numbers and literals
for character = 0, 255 do
  SCALAR[character] = find(char(character), "[-+.%w]") ~= nil
end

-- The first character that is no white space, or the place after the last one.
local function after_space(text, at)
  local now = byte(text, at)
  while now == SPACE or now == TAB or now == NEWLINE or now == RETURN do
    at = at + 1
    now = byte(text, at)
  end
  return at
end

-- The first quote from `at` on, or where it is a part of the text the place after it; nil when there is none.
local function quote_after(text, at)
  local quote = find(text, '"', at, true)
  if not quote then
    return nil
  end
  local before = quote - 1
  while before >= at and byte(text, before) == BACKSLASH do
    before = before - 1
  end
  return (quote - before) % 2 == 1 and quote or quote + 1
end

-- The quote that ends the string whose first character stands `at`; nil when none does.
local function end_of_string(text, at)
  while at do
    local long = at + SHORT
    while at < long do
      local now = byte(text, at)
      if now == QUOTE then
        return at
      elseif not now then
        return nil
      end
      at = at + (now == BACKSLASH and 2 or 1)
    end
    at = quote_after(text, at)
  end
end

-- The bracket that ends what is opened `at`; nil when none does.
local function end_of_nested(text, at)
  local depth, length = 1, #text
  while at < length do
    at = at + 1
    local now = byte(text, at)
    if now == QUOTE then
      at = end_of_string(text, at + 1)
      if not at then
        return nil
      end
    elseif now == OBJECT or now == ARRAY then
      depth = depth + 1
    elseif now == END_OF_OBJECT or now == END_OF_ARRAY then
      depth = depth - 1
      if depth == 0 then
        return at
      end
    end
  end
end

-- The last character of the value that begins `at`; nil when there is none.
local function end_of_value(text, at)
  local now = byte(text, at)
  if now == QUOTE then
    return end_of_string(text, at + 1)
  elseif now == OBJECT or now == ARRAY then
    return end_of_nested(text, at)
  end
  local last = nil
  while now and SCALAR[now] do
    last, at = at, at + 1
    now = byte(text, at)
  end
  return last
end

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function unescaped(letter, digits)
  if letter ~= "u" then
    return (ESCAPES[letter] or letter) .. digits
  end
  local code = #digits == 4 and tonumber(digits, 16) or 255
  return char(code < 128 and code or 255)
end

-- What a string says whose characters are ASCII; of others only that they are not.
local function said(text)
  if not find(text, "\\", 1, true) then
    return text
  end
  return (gsub(text, "\\(.)(%x?%x?%x?%x?)", unescaped))
end

-- The characters of "model", and their numbers where they are written as an escape.
local MODEL = { 0x6d, 0x6f, 0x64, 0x65, 0x6c }
local ESCAPED = { "006d", "006f", "0064", "0065", "006c" }

-- Whether what stands from `at` to before `quote` says "model".
local function says_model(text, at, quote)
  for index = 1, 5 do
    local now = byte(text, at)
    if now == MODEL[index] then
      at = at + 1
    elseif now == BACKSLASH and byte(text, at + 1) == LETTER_U and lower(sub(text, at + 2, at + 5)) == ESCAPED[index] then
      at = at + 6
    else
      return false
    end
  end
  return at == quote
end

-- The first and the last character of the model's name, or nil and what is in the way: "malformed", "missing",
-- "not-text", "twice" or "many".
local function place_of_model(text)
  local at = after_space(text, sub(text, 1, 3) == BYTE_ORDER_MARK and 4 or 1)
  if byte(text, at) ~= OBJECT then
    return nil, "malformed"
  end
  local members, seen, first, last = 0, false, nil, nil
  at = after_space(text, at + 1)
  local now = byte(text, at)
  while now ~= END_OF_OBJECT do
    members = members + 1
    if members > MEMBERS then
      return nil, "many"
    end
    local key = now == QUOTE and end_of_string(text, at + 1)
    if not key then
      return nil, "malformed"
    end
    local is_model = says_model(text, at + 1, key)
    if is_model and seen then
      return nil, "twice"
    end
    local colon = after_space(text, key + 1)
    at = after_space(text, colon + 1)
    local value = byte(text, colon) == COLON and end_of_value(text, at)
    if not value then
      return nil, "malformed"
    end
    if is_model then
      seen = true
      if byte(text, at) == QUOTE then
        first, last = at + 1, value - 1
      end
    end
    at = after_space(text, value + 1)
    now = byte(text, at)
    if now == COMMA then
      at = after_space(text, at + 1)
      now = byte(text, at)
      if now ~= QUOTE then
        return nil, "malformed"
      end
    elseif now ~= END_OF_OBJECT then
      return nil, "malformed"
    end
  end
  if after_space(text, at + 1) <= #text then
    return nil, "malformed"
  elseif not seen then
    return nil, "missing"
  elseif not first then
    return nil, "not-text"
  elseif last < first then
    return nil, "missing"
  end
  return first, last
end

-- A large body is not kept until Lua next cleans up by itself.
local LARGE = 1048576

local function forget(length)
  if length > LARGE then
    collectgarbage()
  end
end
