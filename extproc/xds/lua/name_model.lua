-- Tells the routes which model a request's body names: in MODEL_HEADER, or in PROBLEM_HEADER why it names none.

local LONGEST_NAME = 100 -- what is called in vain is repeated in the answer; no endpoint has so long a name
local LONGEST_WRITTEN = 6 * LONGEST_NAME -- with each character as an escape; what comes after it is not read

local function read(handle)
  local headers = handle:headers()
  if (tonumber(headers:get("content-length") or 0) or 0) > LIMIT then
    return nil, "large", 0 -- what comes without its length is refused by Envoy where the limit is
  end
  local encoding = headers:get("content-encoding")
  if encoding and lower(encoding) ~= "identity" then
    return nil, "encoded", 0
  end
  local body = handle:body() -- waits for the whole of it
  local length = body and body:length() or 0
  if length == 0 then
    return nil, "empty", 0
  end
  local text = body:getBytes(0, length)
  local first, last = place_of_model(text)
  if not first then
    return nil, last, length
  end
  -- It becomes a header's value, so it holds nothing that ends one.
  local written = sub(text, first, math.min(last, first + LONGEST_WRITTEN - 1))
  local name = gsub(sub(said(written), 1, LONGEST_NAME), "[^ -~]", "?")
  return name, nil, length
end

function envoy_on_request(handle)
  local model, problem, length = read(handle)
  -- Asked for here: an object from before `body` waited can't be used any more.
  if model then
    handle:headers():replace(MODEL_HEADER, model)
  else
    handle:headers():replace(PROBLEM_HEADER, problem)
  end
  forget(length)
  handle:clearRouteCache()
end
