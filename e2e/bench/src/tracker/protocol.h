#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace larder::bench {

enum class Verb { kSet, kGet };

struct Answer {
  uint32_t request;
  bool ok;
};

// What is said on one connection, as bytes: the least that a server accepts, so that the processors are left to it.
class Protocol {
 public:
  virtual ~Protocol() = default;
  // Appends what a connection begins with.
  virtual void Greet(std::string& out) = 0;
  // Appends a request; its name among those of this connection.
  virtual uint32_t Request(std::string_view key, std::string& out) = 0;
  // Adds what whole answers `in` begins with, and appends to `out` what the server wants to hear at once. RESULT: how
  // many bytes of `in` are done with.
  virtual size_t Take(std::string_view in, std::string& out, std::vector<Answer>& answers) = 0;
};

// Redis's, one request at a time, as its clients do. A GET must find `value.size()` bytes.
std::unique_ptr<Protocol> SpeakResp(Verb verb, std::string_view value);
// etcd's KV service: gRPC's frames on HTTP/2, headers from the connection's table as gRPC sends them. Here any number
// of requests is under way on one connection.
std::unique_ptr<Protocol> SpeakEtcd(Verb verb, std::string_view value);

}  // namespace larder::bench
