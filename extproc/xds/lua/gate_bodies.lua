-- Keeps the large bodies that one thread of Envoy holds at a time below BUDGET bytes: who would add to them is told to
-- come again. What comes without its length is counted as it comes, and turned away only for what is there already.
--
-- Must stay true: what a request holds is given back however it ends. Nobody tells a script that a client is gone, but
-- then nobody has the request's handle either, and it is gone from a table of weak keys. One body is always taken. And
-- what passes without being held whole, for hours perhaps, does not count.

local SMALL = 1048576 -- bytes; bodies of less do not count
local PASSED_ON = 5 -- seconds that a complete body gets to be on its way; the model may think about it for minutes

jit.off() -- what it compiles for a loop holds on to the loop's iterator, that to the handle, and all for ever

local WITH_BODY = { POST = true, PUT = true, PATCH = true }
-- Of gRPC these are held (rename_v2.lua), which are one message. Streams of messages pass as they come.
local SERVICE, STREAM = "^/inference%.GRPCInferenceService/%w+$", "/ModelStreamInfer"

local held = setmetatable({}, { __mode = "k" })
local complete = setmetatable({}, { __mode = "k" })

local function sum()
  local bytes, now = 0, os.time()
  for handle, length in pairs(held) do
    if now - (complete[handle] or now) > PASSED_ON then
      held[handle] = nil
    else
      bytes = bytes + length
    end
  end
  return bytes
end

local function has_room(length)
  local bytes = sum()
  if bytes > 0 and bytes + length > BUDGET then
    -- Of this filter's memory alone, which has no bodies in it. Twice: a key that has a finaliser, as handles have, goes
    -- with the cycle after the one that ran it.
    collectgarbage()
    collectgarbage()
    bytes = sum()
  end
  return bytes == 0 or bytes + length <= BUDGET
end

local function refuse(handle, form)
  if string.find(form, "^application/grpc") then
    local headers = { [":status"] = "200", ["content-type"] = form, ["grpc-status"] = "14", ["grpc-message"] = TEXT }
    handle:respond(headers, "")
  else
    -- Where a route is OpenAI's, the text gets its form (`openai_answers.failures`).
    handle:respond({ [":status"] = "503", ["content-type"] = "text/plain", ["retry-after"] = "1" }, TEXT)
  end
end

local function is_held(headers, form, length)
  if length and length < SMALL then
    return false
  elseif string.find(form, "^application/grpc") then
    local path = headers:get(":path") or ""
    return string.find(path, SERVICE) and string.sub(path, -#STREAM) ~= STREAM
  end
  return WITH_BODY[headers:get(":method")]
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local form = headers:get("content-type") or ""
  local length = tonumber(headers:get("content-length") or "")
  if not is_held(headers, form, length) then
    return
  elseif length and length > LIMIT then
    length = nil -- it is not held, or no longer than to here
  end
  if not has_room(length or 0) then
    refuse(handle, form)
    return
  end
  held[handle] = length or 0
  for piece in handle:bodyChunks() do
    if not length then
      held[handle] = (held[handle] or 0) + piece:length()
      if held[handle] > LIMIT then
        held[handle] = nil
        return
      end
    end
  end
  complete[handle] = os.time()
end
