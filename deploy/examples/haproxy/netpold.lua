-- Asks netpold, and sets txn.netpold to the status of its answer. The question is written here. The client is HAProxy's
-- own view of it: no header of the client gets into the question.
core.register_action("netpold", {"http-req"}, function(txn)
    local ok, res = pcall(function()
        return core.httpclient():get{
            url = "http://netpold.netpold.svc:9482/authz?dst=svc/shop/cart&port=80&src=" .. txn.f:src(),
            timeout = 200,
        }
    end)
    txn:set_var("txn.netpold", ok and res and res.status or 0)
end, 0)
