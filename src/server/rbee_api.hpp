// The worker's own surface: jobs and their streams.
#pragma once
#include <string>

#include "server/http.hpp"
#include "server/service.hpp"

namespace rbee {

// POST /v1/jobs and /v1/inference: starts a job. Takes as long as tokenizing the prompt does.
Reply create_job(Service& service, const HttpRequest& request);
// GET /v1/jobs/{id}/stream and /v1/inference/{id}/stream. On the I/O thread.
Reply stream_job(Service& service, const HttpRequest& request, const std::string& id);
// DELETE /v1/jobs/{id}. On the I/O thread.
Reply cancel_job(Service& service, const HttpRequest& request, const std::string& id);

// The answer to a request that needs the model while there is none.
HttpResponse unavailable(const Service& service);

}  // namespace rbee
