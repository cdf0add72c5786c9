-- reads key "a"
wrk.method, wrk.path, wrk.body = "POST", "/v3/kv/range", '{"key": "YQ=="}'
