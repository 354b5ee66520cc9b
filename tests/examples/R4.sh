curl -sS $BASE/v1/messages -H "$J" -H "x-api-key: $KEY" \
  -d '{"model":"claude-opus-4-5-thinking","max_tokens":256,"messages":[{"role":"user","content":"Hello"}]}'
