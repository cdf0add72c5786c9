# Answers with method and body. usage: http.rb PORT
require "webrick"
server = WEBrick::HTTPServer.new(Port: ARGV[0].to_i, BindAddress: "127.0.0.1", AccessLog: [], Logger: WEBrick::Log.new(nil, 0))
server.mount_proc("/") do |request, response|
  response["Content-Type"] = "text/plain"
  response.body = "#{request.request_method} #{request.body}\n"
end
trap("TERM") { server.shutdown }
server.start
