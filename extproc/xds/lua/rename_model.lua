-- Gives the model of a request's body the name by which its server knows it: the route's metadata says which.

function envoy_on_request(handle)
  local served = handle:metadata():get("model")
  local headers = handle:headers()
  if not served or headers:get(MODEL_HEADER) == served then
    return
  end
  local encoding = headers:get("content-encoding")
  local form = find(lower(headers:get("content-type") or ""), "^multipart/")
  if form or (encoding and lower(encoding) ~= "identity") then
    return
  end
  local body = handle:body()
  if not body or body:length() == 0 then
    return
  end
  local length = body:length()
  local text = body:getBytes(0, length)
  local first, last = place_of_model(text)
  if first and sub(text, first, last) ~= served then
    body:setBytes(sub(text, 1, first - 1) .. served .. sub(text, last + 1))
  end
  text = nil
  forget(length)
end
