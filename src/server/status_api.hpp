// What the worker says about itself.
#pragma once
#include "base/json.hpp"
#include "server/http.hpp"
#include "server/service.hpp"

namespace rbee {

Reply get_health(Service& service, const HttpRequest& request);   // /health and /
Reply get_ready(Service& service, const HttpRequest& request);    // /v1/ready
Reply get_info(Service& service, const HttpRequest& request);     // /info
Reply get_metrics(Service& service, const HttpRequest& request);  // /metrics
// /v1/loading/progress: events until the model is there. On the I/O thread.
Reply stream_progress(Service& service, const HttpRequest& request);

// {"id","model_id","device","port","status","implementation","version"}. Any thread.
Json worker_info(const Service& service);

}  // namespace rbee
