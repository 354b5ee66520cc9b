curl -sS $BASE/v1/messages -H "$J" -H "x-api-key: $KEY" -d '{
  "model":"claude-opus-4-5-thinking","max_tokens":256,"messages":[
  {"role":"user","content":"Look up the time in Beijing with the tool, then answer in one sentence."},
  {"role":"assistant","content":[{"type":"tool_use","id":"toolu_xxx","name":"get_time","input":{"timezone":"Asia/Shanghai"}}]},
  {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_xxx","content":"time (Asia/Shanghai): 2025-12-12 23:59:59\\nUTC offset: +8:00"}]}]}'
