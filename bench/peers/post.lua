-- Posts the bodies of a folder in turn: FOLDER/0.json and so on, COUNT of them. Prints one JSON object at the end.
local folder, count = os.getenv("FOLDER"), tonumber(os.getenv("COUNT"))
local requests, turn = {}, 0

function init()
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  for number = 0, count - 1 do
    local file = io.open(folder .. "/" .. number .. ".json")
    requests[number] = wrk.format(nil, nil, nil, file:read("*a"))
    file:close()
  end
end

function request()
  turn = (turn + 1) % count
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  local answered_well = summary.requests - errors.status -- a refusal is quick, and no work done
  io.write(string.format(
    '{"per_second": %f, "p50_ms": %f, "p99_ms": %f, "failed": %d}\n',
    answered_well / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
