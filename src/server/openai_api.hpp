// The OpenAI surface: models, chat completions and completions.
#pragma once
#include <string>
#include <string_view>

#include "server/http.hpp"
#include "server/service.hpp"

namespace rbee {

Reply list_models(Service& service, const HttpRequest& request);
Reply get_model(Service& service, const HttpRequest& request, const std::string& id);
// Take as long as rendering and tokenizing the prompt does.
Reply chat_completions(Service& service, const HttpRequest& request);
Reply completions(Service& service, const HttpRequest& request);

}  // namespace rbee
