-- wrk through a proxy: the request names the whole address, given behind wrk's own
function init(args)
	request = function() return wrk.format("GET", args[1]) end
end
