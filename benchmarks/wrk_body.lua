-- One request for wrk, over and over: a POST of the body that is given as the argument.

function init(args)
  wrk.method = "POST"
  wrk.body = args[1]
  wrk.headers["Content-Type"] = "application/json"
end

function done(summary, _latency, _requests)
  local errors = summary.errors
  io.write(string.format('{"requests": %d, "failed": %d}\n', summary.requests,
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
