-- wrk's part: sends the requests that Python wrote into a file, by turns; one thread for each port.
-- Environment: BENCH_PORTS, with commas; BENCH_REQUESTS, a file of requests, separated by NUL;
-- BENCH_TURN, which run it is; BENCH_TOKENS, a file of refresh tokens, one a line, where they are
-- needed. In a request '@@@@@@@@' becomes a number that is used once, and the '&'s become one of
-- the tokens; each answer brings the next.

local threads = 0

function setup(thread)
  local ports = {}
  for port in os.getenv("BENCH_PORTS"):gmatch("%d+") do
    ports[#ports + 1] = port
  end
  threads = threads + 1
  thread:set("id", threads)
  thread.addr = wrk.lookup("127.0.0.1", ports[threads])[1]
end

local function read(name)
  local file = assert(io.open(os.getenv(name), "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function init(_)
  requests = {}
  for each in read("BENCH_REQUESTS"):gmatch("[^%z]+") do
    requests[#requests + 1] = each
  end
  -- Threads begin at different places, and number apart.
  turn = (id - 1) * math.floor(#requests / 2)
  number = id * 10000000 + tonumber(os.getenv("BENCH_TURN")) * 50000
  if os.getenv("BENCH_TOKENS") then
    keep_tokens(os.getenv("BENCH_PORTS"):gsub("%d+", ""):len() + 1)
  end
end

-- Every thread has its share of the tokens.
function keep_tokens(shares)
  tokens = {}
  local line = 0
  for token in read("BENCH_TOKENS"):gmatch("[^\n]+") do
    line = line + 1
    if line % shares == id % shares then
      tokens[#tokens + 1] = token
    end
  end
  response = function(_, _, body)
    tokens[#tokens + 1] = body:match('"refresh_token":%s*"([^"]+)"')
  end
end

function request()
  turn = turn % #requests + 1
  local text = requests[turn]
  if text:find("@@@@@@@@", 1, true) then
    number = number + 1
    text = text:gsub("@@@@@@@@", string.format("%08d", number))
  end
  if tokens then
    text = text:gsub("&&+", function() return table.remove(tokens, 1) end)
  end
  return text
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
