curl -sS $BASE/v1/messages -H "$J" -H "x-api-key: $KEY" -d '{
  "model":"claude-opus-4-5-thinking","max_tokens":256,
  "messages":[{"role":"user","content":"Look up the time in Beijing with the tool, then answer in one sentence."}],
  "tools":[{"name":"get_time","description":"Current time in a time zone",
    "input_schema":{"type":"object","properties":{"timezone":{"type":"string"}},"required":["timezone"]}}],
  "tool_choice":{"type":"auto"}}'
