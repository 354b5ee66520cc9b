curl -sS $BASE/v1/chat/completions -H "$J" -H "Authorization: Bearer $KEY" -d '{
  "model":"gemini-2.5-flash","messages":[
  {"role":"user","content":"Look up the time in Beijing with the tool, then answer in one sentence."},
  {"role":"assistant","content":null,"tool_calls":[{"id":"call_xxx","type":"function",
    "function":{"name":"get_time","arguments":"{\"timezone\":\"Asia/Shanghai\"}"}}]},
  {"role":"tool","tool_call_id":"call_xxx","name":"get_time","content":"time (Asia/Shanghai): 2025-12-12 23:59:59\\nUTC offset: +8:00"}]}'
