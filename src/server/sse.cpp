#include "server/sse.hpp"

namespace rbee {

void append_sse(std::string& out, const Json& event) {
  out += "data: ";
  out += dump_json(event);
  out += "\n\n";
}

HttpResponse sse_head() {
  return {.status = 200,
          .content_type = "text/event-stream",
          .body = {},
          .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}};
}

}  // namespace rbee
