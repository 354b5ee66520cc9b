PNG=iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFTEMLQkAKP8/wc53yE8AAAAASUVORK5CYII=
for URL in "data:image/png;base64,$PNG" "$PNG"; do
curl -sS $BASE/v1/chat/completions -H "$J" -H "Authorization: Bearer $KEY" -d '{"model":"gemini-2.5-flash","messages":[{"role":"user","content":[
  {"type":"text","text":"Which colour is this?"},{"type":"image_url","image_url":{"url":"'"$URL"'"}}]}]}'
done
