#include "src/rivals.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <fstream>

namespace larder::bench {
namespace {

constexpr uint64_t kLargestItem = 256ull << 20;

class Memcached final : public Store {
 public:
  Memcached(const std::string& socket, uint64_t memory)
      : server_({"memcached", "-u", "root", "-s", socket, "-a", "0700", "-m", std::to_string(memory), "-t", "1", "-I",
                 std::to_string(kLargestItem)},
                socket, SOCK_STREAM),
        stream_(socket) {}
  void Set(const std::string& key, const char* bytes, uint64_t size) override {
    stream_.Send(fmt::format("set {} 0 0 {}\r\n", key, size), bytes, size, "\r\n");
    if (const std::string line = stream_.Line(); line != "STORED") Die("memcached refused a set: " + line);
  }
  uint64_t Get(const std::string& key, char* out) override {
    stream_.Send(fmt::format("get {}\r\n", key));
    const std::string line = stream_.Line();
    const uint64_t size = std::stoull(line.substr(line.rfind(' ') + 1));
    stream_.Bytes(out, size);
    stream_.Line();
    stream_.Line();  // END
    return size;
  }

 private:
  Server server_;
  Stream stream_;
};

std::string BulkOf(std::string_view text) { return fmt::format("${}\r\n{}\r\n", text.size(), text); }

}  // namespace

std::unique_ptr<Store> StartMemcached(const std::string& dir, uint64_t memory) {
  return std::make_unique<Memcached>(dir + "/memcached.sock", memory);
}

// ---- redis

Redis::Redis(const std::string& dir, uint64_t memory)
    : server_({"redis-server", "--port", "0", "--unixsocket", dir + "/redis.sock", "--save", "", "--appendonly", "no",
               "--proto-max-bulk-len", "1gb", "--client-query-buffer-limit", "2gb", "--maxmemory",
               fmt::format("{}mb", memory), "--maxmemory-policy", "allkeys-lru"},
              dir + "/redis.sock", SOCK_STREAM),
      stream_(dir + "/redis.sock") {}

void Redis::Set(const std::string& key, const char* bytes, uint64_t size) {
  stream_.Send(fmt::format("*3\r\n$3\r\nSET\r\n{}${}\r\n", BulkOf(key), size), bytes, size, "\r\n");
  if (const std::string line = stream_.Line(); line != "+OK") Die("redis refused a SET: " + line);
}

uint64_t Redis::Get(const std::string& key, char* out) {
  stream_.Send("*2\r\n$3\r\nGET\r\n" + BulkOf(key));
  return Bulk(out);
}

void Redis::SetMany(std::span<const std::string> keys, const char* bytes, uint64_t size) {
  std::string request = fmt::format("*{}\r\n$4\r\nMSET\r\n", 1 + 2 * keys.size());
  const std::string value = BulkOf({bytes, size});
  for (const std::string& key : keys) request += BulkOf(key) + value;
  stream_.Send(request);
  if (const std::string line = stream_.Line(); line != "+OK") Die("redis refused an MSET: " + line);
}

void Redis::GetMany(std::span<const std::string> keys, char* out) {
  std::string request = fmt::format("*{}\r\n$4\r\nMGET\r\n", 1 + keys.size());
  for (const std::string& key : keys) request += BulkOf(key);
  stream_.Send(request);
  stream_.Line();  // how many
  for (size_t i = 0; i < keys.size(); ++i) out += Bulk(out);
}

uint64_t Redis::Bulk(char* out) {
  const std::string line = stream_.Line();
  if (line == "$-1") Die("redis has dropped a key");
  const uint64_t size = std::stoull(line.substr(1));
  stream_.Bytes(out, size);
  stream_.Line();
  return size;
}

// ---- nginx

std::string WriteNginxConfig(const std::string& dir, const std::string& files, const std::string& listen) {
  const std::string path = dir + "/nginx.conf";
  std::ofstream(path) << fmt::format(R"(daemon off;
master_process off;
pid {0}/nginx.pid;
error_log {0}/nginx.log;
events {{}}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  client_body_temp_path {0}/nginx-temp;
  server {{
    listen {2};
    root {1};
  }}
}}
)",
                                     dir, files, listen);
  return path;
}

Nginx::Nginx(const std::string& dir, const std::string& files)
    : server_({"nginx", "-p", dir, "-c", WriteNginxConfig(dir, files, "unix:" + dir + "/nginx.sock")},
              dir + "/nginx.sock", SOCK_STREAM),
      stream_(dir + "/nginx.sock") {}

void Nginx::Get(const std::string& name, char* out) {
  constexpr std::string_view kLength = "Content-Length: ";
  stream_.Send(fmt::format("GET /{} HTTP/1.1\r\nHost: bench\r\n\r\n", name));
  if (const std::string line = stream_.Line(); line != "HTTP/1.1 200 OK") Die("nginx refused a GET: " + line);
  uint64_t size = 0;
  for (std::string line = stream_.Line(); !line.empty(); line = stream_.Line()) {
    if (line.starts_with(kLength)) size = std::stoull(line.substr(kLength.size()));
  }
  stream_.Bytes(out, size);
}

}  // namespace larder::bench
