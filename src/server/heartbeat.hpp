// Heartbeat: tells the hive or queen that the worker lives. Never fatal, never in the way.
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "server/service.hpp"

namespace rbee {

class Heartbeat {
 public:
  // Starts the thread that posts, if the options name somebody to post to.
  explicit Heartbeat(const Service& service);
  ~Heartbeat();  // stop()
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  // Posts the ready callback and a heartbeat at once.
  void model_ready();
  // Aborts what is under way, and posts no more.
  void stop();

 private:
  void run();
  void beat();
  void call_back();
  // The HTTP status, or 0 when there was no answer.
  long post(const std::string& url, const std::string& body);
  bool stopping() const;

  const Service& service_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  bool ready_ = false;
  bool called_back_ = false;
  bool old_path_ = false;  // the other side knows only /v1/heartbeat
  bool reachable_ = true;
  std::thread thread_;
};

}  // namespace rbee
