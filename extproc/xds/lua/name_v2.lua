-- Calls the model that a gRPC call names in its message by the header that the routes look at.

local LONGEST_NAME = 100 -- no endpoint has so long a name

function envoy_on_request(handle)
  local found = handle:streamInfo():dynamicMetadata():get(EXTRACTED)
  local names = found and (found["model_name"] or found["name"])
  local name = names and names[1]
  local headers = handle:headers()
  if name and #name <= LONGEST_NAME and string.find(name, "^[!-~]+$") then
    headers:replace(MODEL_HEADER, name)
  else
    headers:replace(PROBLEM_HEADER, "unnamed")
  end
  handle:clearRouteCache()
end
