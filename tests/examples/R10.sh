curl -sS $BASE/v1/messages -H "$J" -H "x-api-key: $KEY" -d '{"model":"claude-sonnet-4-5","max_tokens":256,"messages":[{"role":"user","content":[
  {"type":"image","source":{"type":"base64","media_type":"image/png","data":"'"$PNG"'"}},{"type":"text","text":"Which colour is this?"}]}]}'
