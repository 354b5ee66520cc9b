curl -sS $BASE/v1/models -H "Authorization: Bearer $KEY"
