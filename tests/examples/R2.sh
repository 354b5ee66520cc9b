curl -sS $BASE/v1/chat/completions -H "$J" -H "Authorization: Bearer $KEY" -d '{
  "model":"gemini-2.5-flash",
  "messages":[{"role":"user","content":"Look up the time in Beijing with the tool, then answer in one sentence."}],
  "tools":[{"type":"function","function":{"name":"get_time","description":"Current time in a time zone",
    "parameters":{"type":"object","properties":{"timezone":{"type":"string"}},"required":["timezone"]}}}],
  "tool_choice":"auto"}'
