# Numbers, strings, threads, JSON, digests and files.
require "json"
require "digest"
puts((1..1000).map { |i| i * i }.select(&:even?).sum)
threads = 4.times.map { |i| Thread.new { (1..20000).sum { |x| x * i } } }
p threads.map(&:value)
puts JSON.generate({ a: [1, 2.5, nil], "b" => "\u00e9" }), Digest::SHA256.hexdigest("x" * 100000)
p JSON.parse('{"k": [true, {"n": 1e3}]}')
p File.readlines("/etc/services").grep(/tcp/).size
p "%.10f" % Math.sqrt(2), 2**200
Fiber.new { puts "in a fiber" }.resume
begin
  raise ArgumentError, "caught"
rescue => e
  puts e.message
end
