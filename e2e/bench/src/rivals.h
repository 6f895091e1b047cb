#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "src/server.h"
#include "src/stream.h"

namespace larder::bench {

// The rivals, over their Unix sockets on kServerCpu, spoken to with as little of a client as can be. `dir` is where
// their sockets go.

// A key-value store. What it keeps is limited to `memory` MiB, and the oldest gives way.
class Store {
 public:
  virtual ~Store() = default;
  virtual void Set(const std::string& key, const char* bytes, uint64_t size) = 0;
  // Into `out`, which has room for it; its size.
  virtual uint64_t Get(const std::string& key, char* out) = 0;
};
std::unique_ptr<Store> StartMemcached(const std::string& dir, uint64_t memory);

class Redis final : public Store {
 public:
  Redis(const std::string& dir, uint64_t memory);
  void Set(const std::string& key, const char* bytes, uint64_t size) override;
  uint64_t Get(const std::string& key, char* out) override;
  // MSET of all keys, each with the same `size` bytes; MGET of them, one after the other into `out`.
  void SetMany(std::span<const std::string> keys, const char* bytes, uint64_t size);
  void GetMany(std::span<const std::string> keys, char* out);

 private:
  uint64_t Bulk(char* out);
  Server server_;
  Stream stream_;
};

// Writes a configuration of nginx to `dir`, in which it sends what lies in `files` by sendfile to who connects to
// `listen`; its path.
std::string WriteNginxConfig(const std::string& dir, const std::string& files, const std::string& listen);

// nginx with sendfile, serving what lies in `files`.
class Nginx {
 public:
  Nginx(const std::string& dir, const std::string& files);
  // The body of `name` into `out`, which has room for it.
  void Get(const std::string& name, char* out);

 private:
  Server server_;
  Stream stream_;
};

}  // namespace larder::bench
