-- Runs as the first filter of the lab's gateway: a browser's *.localhost names become the names of
-- the documents, and back in the answer. What was sent and what came back is kept for the access
-- log, in the documents' names. LOCAL and REAL, above, map origins.

local MOST_LINES, MOST_BYTES, MOST_IN_ALL = 64, 1024, 8192

local function lines_of(headers)
  local lines, left = {}, MOST_IN_ALL
  for name, value in pairs(headers) do
    if #lines < MOST_LINES and left > 0 and name:sub(1, 1) ~= ":" then
      local line = { name:sub(1, MOST_BYTES), value:sub(1, MOST_BYTES) }
      lines[#lines + 1] = line
      left = left - #line[1] - #line[2]
    end
  end
  return lines
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local kept = handle:streamInfo():dynamicMetadata()
  local name, port = (headers:get(":authority") or ""):match("^(.+)%.localhost:?(%d*)$")
  if name then
    kept:set("lab", "port", port)
    headers:replace(":authority", name)
    local origin = REAL[headers:get("origin")]
    if origin then
      headers:replace("origin", origin)
    end
    handle:clearRouteCache()
  end
  kept:set("lab", "method", headers:get(":method") or "")
  kept:set("lab", "host", headers:get(":authority") or "")
  kept:set("lab", "path", (headers:get(":path") or ""):sub(1, MOST_BYTES))
  kept:set("lab", "sent", lines_of(headers))
end

-- Each element of a list, in whatever lines it came.
local function translate_origins(headers, field)
  local values = {}
  for at = 0, headers:getNumValues(field) - 1 do
    values[#values + 1] = headers:getAtIndex(field, at)
  end
  headers:remove(field)
  for _, value in ipairs(values) do
    headers:add(field, (value:gsub("[^,%s]+", LOCAL)))
  end
end

-- To a page's origin, or to any other host: that is one of the gateway's.
local function translate_location(headers, port)
  local location = headers:get("location")
  local scheme, authority, rest = (location or ""):match("^(%a*:?)//([^/?#]*)(.*)$")
  if not authority then
    return
  end
  local page = LOCAL[scheme:lower() .. "//" .. authority:lower()]
  local host = authority:lower():match("^([%w._-]+):?%d*$")
  if page then
    headers:replace("location", page .. rest)
  elseif host then
    headers:replace("location", "http://" .. host .. ".localhost:" .. port .. rest)
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local kept = handle:streamInfo():dynamicMetadata()
  kept:set("lab", "received", lines_of(headers))
  local port = (kept:get("lab") or {}).port
  if port then
    translate_origins(headers, "access-control-allow-origin")
    translate_location(headers, port)
  end
end
