// The HTTP library's idea of a request, to ours.
#pragma once
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <string>

#include "server/http.hpp"

namespace rbee {

// Everything but the body. Returns what is wrong with the head, or an empty text.
std::string read_head(const boost::beast::http::request_header<>& head, HttpRequest& request);

}  // namespace rbee
