curl -sS $BASE/v1/chat/completions -H "$J" -H "Authorization: Bearer $KEY" \
  -d '{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Say good morning."}]}'
