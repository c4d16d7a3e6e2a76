-- Gives the model of a gRPC call the name by which its server knows it, and calls it in the answers as the client has
-- called it: the route's metadata says which.

-- Of the methods whose request names one model, in field 1: whether the request is one message, and where answers name
-- it. A call with many messages passes as it comes; to wait for all of it would be to wait for ever.
local ONE, MANY = "one", "many"
local IN_CONFIG, IN_ANSWER = 0x0a, 0x12 -- ModelConfigResponse.config, ModelStreamInferResponse.infer_response
local METHODS = {
  ModelInfer = { requests = ONE, path = {} },
  ModelReady = { requests = ONE },
  ModelMetadata = { requests = ONE, path = {} },
  ModelConfig = { requests = ONE, path = { IN_CONFIG } },
  ModelStatistics = { requests = ONE },
  ModelStreamInfer = { requests = MANY, path = { IN_ANSWER } },
}
local LARGE = 1048576 -- is not kept until Lua next cleans up by itself

local function remember(handle, method, served)
  local told = false
  return function(called)
    if told or called == served or not METHODS[method].path or not find(called, "^[!-~]+$") then
      return
    end
    told = true
    local metadata = handle:streamInfo():dynamicMetadata()
    metadata:set(NAMESPACE, "method", method)
    metadata:set(NAMESPACE, "called", called)
    metadata:set(NAMESPACE, "served", served)
  end
end

local function pass(handle, edit, most)
  local body = passing(edit, most)
  for piece in handle:bodyChunks() do
    local length = piece:length()
    if length > 0 and not body.unseen(length) then
      local put = body.feed(piece:getBytes(0, length))
      if put then
        piece:setBytes(put)
      end
      if body.begun == most then
        return
      end
    end
  end
end

local function rename(handle, edit, served)
  local body = handle:body() -- waits for the whole of it
  local length = body and body:length() or 0
  if length < PREFIX then
    return
  end
  local flags, size = announced(body:getBytes(0, PREFIX), 1)
  if flags == COMPRESSED and handle:headers():get(MODEL_HEADER) ~= served then
    handle:respond({
      [":status"] = "200",
      ["content-type"] = "application/grpc",
      ["grpc-status"] = "12",
      ["grpc-message"] = "the model's name can't be read in a compressed message: send it without compression",
    }, "")
    return
  end
  if flags ~= PLAIN or size ~= length - PREFIX then
    return
  end
  local taken, put, appended = edited(edit, body:getBytes(PREFIX, min(size, SEEN)), size)
  if not taken then
    return
  end
  local from = PREFIX + taken
  body:setBytes(prefix(size - taken + #put + #appended) .. put .. body:getBytes(from, length - from) .. appended)
  if length > LARGE then
    collectgarbage()
  end
end

function envoy_on_request(handle)
  local served = handle:metadata():get("model")
  local method = match(handle:headers():get(":path"), "^/inference%.GRPCInferenceService/(%w+)$")
  if not served or not METHODS[method] then
    return
  end
  local edit = request_editor(served, remember(handle, method, served))
  if METHODS[method].requests == ONE then
    rename(handle, edit, served)
  else
    pass(handle, edit, math.huge)
  end
end

function envoy_on_response(handle)
  local known = handle:streamInfo():dynamicMetadata():get(NAMESPACE)
  local method = known and METHODS[known["method"]]
  if method then
    local edit = answer_editor(method.path, known["served"], known["called"])
    pass(handle, edit, method.requests == ONE and 1 or math.huge)
  end
end
