-- Requests for wrk, and its summary as one line of JSON. Arguments: how many experiments there are (see traffic.py).
-- One experiment is one constant request, which wrk sends without calling into Lua.

local BODY = '{"inputs":[{"name":"predict","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}'

wrk.method = "POST"
wrk.body = BODY
wrk.headers["Content-Type"] = "application/json"

-- Half of the experiments are called by the default model's path, half by their own name in a header.
local function one(i)
  if i % 2 == 0 then
    return wrk.format(nil, "/v2/models/a" .. i .. "/infer")
  end
  return wrk.format(nil, "/v2/models/any/infer", {
    ["Host"] = wrk.headers["Host"], ["Content-Type"] = "application/json", ["seldon-model"] = "e" .. i .. ".experiment",
  })
end

function init(args)
  local experiments = tonumber(args[1] or "0")
  if experiments == 0 then return end
  local all = {}
  for i = 0, experiments - 1 do all[i] = one(i) end
  local at = 0
  request = function()
    -- A stride that has no factor in common with a power of ten visits all of them, and not in the order of their names.
    at = (at + 7919) % experiments
    return all[at]
  end
end

function done(summary, latency, _requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "micros": %d, "p50": %d, "p90": %d, "p99": %d, "p99.9": %d, "failed": %d}\n',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9),
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
