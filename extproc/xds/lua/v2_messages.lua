-- The gRPC messages of the Open Inference Protocol ("V2"): a body is a sequence of them, and each names its model near
-- its beginning. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md,
-- https://protobuf.dev/programming-guides/encoding/
--
-- A message is five bytes, whether it is compressed and how long it is, and then so many more; no tensor in it is looked
-- at. Must stay true: a message is changed as a whole or not at all, and whatever the bytes are nothing is raised.

local byte, char, find, floor, match, min, sub = string.byte, string.char, string.find, math.floor, string.match, math.min, string.sub

local PREFIX, LONGEST = 5, 4294967295 -- bytes
local SEEN = 2048 -- of a message; a name has 255 bytes at most
local NAME = 0x0a -- as a tag: field 1, of the wire type LEN
local PLAIN, COMPRESSED = 0, 1
local MORE = "more" -- of a message has to be seen

-- The number that begins `at`, and the place after it; nil when it does not end in time.
local function number_at(text, at)
  local value, scale = 0, 1
  for place = at, at + 4 do
    local now = byte(text, place)
    if not now then
      return nil
    end
    value = value + now % 128 * scale
    if now < 128 then
      return value, place + 1
    end
    scale = scale * 128
  end
end

local function number(value)
  local written = ""
  while value >= 128 do
    written = written .. char(value % 128 + 128)
    value = floor(value / 128)
  end
  return written .. char(value)
end

local function named(name)
  return char(NAME) .. number(#name) .. name
end

local function prefix(length)
  return char(
    PLAIN,
    floor(length / 16777216),
    floor(length / 65536) % 256,
    floor(length / 256) % 256,
    length % 256
  )
end

-- Whether a message is compressed, and how long it is.
local function announced(text, at)
  local flags, a, b, c, d = byte(text, at, at + PREFIX - 1)
  return flags, ((a * 256 + b) * 256 + c) * 256 + d
end

-- Where the content of the field begins and how long it is, if it stands `at` and fits into the `length` that is left
-- from there; nil for another field, MORE when that can't be seen yet.
local function content_of(tag, text, at, length)
  if length == 0 then
    return nil
  end
  local now = byte(text, at)
  if not now then
    return MORE
  end
  if now ~= tag then
    return nil
  end
  local size, first = number_at(text, at + 1)
  if not size then
    local seen = #text - at + 1
    return seen < 6 and seen < length and MORE or nil
  end
  if first - at + size > length then
    return nil
  end
  return first, size
end

-- Editors. Given the beginning of a message and how long all of it is, they return how many bytes of it what else takes
-- the place of, and what is to be appended; nil to leave it as it is, MORE when they have to see more.

-- Gives a request's model the name `served`; `found` is told what it was called. Of a field that comes twice the last
-- one counts, so that a message which does not begin with the name gets it at its end.
local function request_editor(served, found)
  local field = named(served)
  return function(start, length)
    local first, size = content_of(NAME, start, 1, length)
    if first == MORE then
      return MORE
    elseif not first then
      return 0, "", field
    elseif #start < first + size - 1 then
      return MORE
    end
    local called = sub(start, first, first + size - 1)
    found(called)
    if called ~= served then
      return first + size - 1, field, ""
    end
  end
end

-- Calls a model that an answer calls `served` what the client has called it. The name is field 1 of what the fields of
-- `path` lead to, each the first of its message; or of the message itself, since MLServer streams what the protocol has
-- inside of a ModelStreamInferResponse. There the same field is an error's text, and stands alone.
local function answer_editor(path, served, called)
  local field = named(called)
  return function(start, length)
    local at, left, around = 1, length, {}
    for _, tag in ipairs(path) do
      local first, size = content_of(tag, start, at, left)
      if first == MORE then
        return MORE
      elseif not first then
        break
      end
      around[#around + 1] = size
      at, left = first, size
    end
    local first, size = content_of(NAME, start, at, left)
    if not first or first == MORE then
      return first
    elseif size ~= #served or (#around < #path and first + size - at == left) then
      return nil
    elseif #start < first + size - 1 then
      return MORE
    elseif sub(start, first, first + size - 1) ~= served then
      return nil
    end
    local put, longer = field, #field - (first + size - at)
    for index = #around, 1, -1 do
      local head = char(path[index]) .. number(around[index] + longer)
      longer = longer + #head - 1 - #number(around[index])
      put = head .. put
    end
    return first + size - 1, put, ""
  end
end

-- What `edit` says of the message that begins `at`; nil when that is nothing.
local function edited(edit, start, length)
  local taken, put, appended = edit(start, length)
  if taken == MORE then
    return #start < min(length, SEEN) and MORE or nil
  end
  if taken and length - taken + #put + #appended <= LONGEST then
    return taken, put, appended
  end
end

-- Rewrites a body while it passes: returned is a function that takes a piece and returns what takes its place, nil for
-- the piece itself. `begun` is how many messages it has seen the beginning of; what comes after the first `most` passes.
local function passing(edit, most)
  local held, left, appended = "", 0, ""
  local state = { begun = 0 }

  -- Whether a message that begins `at` is done with as far as it has to be seen; what is left of it begins at the place
  -- that is returned.
  local function begin(text, at, out)
    if state.begun == most then
      left = math.huge
      return at
    end
    if #text - at + 1 < PREFIX then
      return nil
    end
    local flags, length = announced(text, at)
    local taken, put, append
    if flags == PLAIN then
      taken, put, append = edited(edit, sub(text, at + PREFIX, at + PREFIX + min(length, SEEN) - 1), length)
      if taken == MORE then
        return nil
      end
    end
    state.begun = state.begun + 1
    if not taken then
      left = PREFIX + length
      return at
    end
    out[#out + 1] = prefix(length - taken + #put + #append) .. put
    left, appended = length - taken, append
    return at + PREFIX + taken
  end

  -- How much of the next piece can pass without being looked at.
  function state.unseen(length)
    if held == "" and appended == "" and length <= left then
      left = left - length
      return true
    end
    return false
  end

  function state.feed(piece)
    local text, changed = held .. piece, held ~= ""
    local out, at = {}, 1
    held = ""
    while at <= #text do
      if left == 0 then
        local after = begin(text, at, out)
        if not after then
          held, changed = sub(text, at), true
          break
        end
        changed = changed or after ~= at
        at = after
      end
      local part = sub(text, at, min(#text, at + left - 1)) -- LuaJIT's places have 31 bits, and lengths one more
      out[#out + 1] = part
      left, at = left - #part, at + #part
      if left == 0 and appended ~= "" then
        out[#out + 1] = appended
        appended, changed = "", true
      end
    end
    return changed and table.concat(out) or nil
  end

  return state
end
