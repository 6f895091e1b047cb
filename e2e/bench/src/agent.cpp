#include "src/agent.h"

#include <sys/socket.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>

#include "src/measure.h"

namespace larder::bench {
namespace {

std::vector<std::string> CommandOf(const std::string& dir, const std::string& arena, bool evict_last) {
  std::filesystem::create_directory(dir);
  std::vector<std::string> command = {ProgramPath("larder-agent"),
                                      "--socket-dir",
                                      dir,
                                      "--arena",
                                      arena,
                                      "--identity",
                                      "open",
                                      "--listen-admin",
                                      "127.0.0.1:0"};
  if (evict_last) {
    const std::string config = dir + "/agent.yaml";
    std::ofstream(config) << "namespaces:\n  default:\n    evict_last: true\n";
    command.insert(command.end(), {"--config", config});
  }
  return command;
}

}  // namespace

Agent::Agent(const std::string& dir, const std::string& arena, bool evict_last)
    : endpoint_("uds://" + dir),
      server_(CommandOf(dir, arena, evict_last), dir + "/data.sock", SOCK_SEQPACKET),
      client_(Must(client::Client::Connect(endpoint_))) {}

void Agent::Put(const std::string& key, const char* bytes, uint64_t size) {
  Must(client_->Put({.key = key, .overwrite = true}, std::as_bytes(std::span(bytes, size))));
}

void Agent::PutInPlace(const std::string& key, const char* bytes, uint64_t size) {
  auto writer = Must(client_->Create({.key = key, .size_hint = size, .overwrite = true}));
  for (uint64_t at = 0; at < size;) {
    const auto to = Must(writer->Prepare(size - at));
    std::memcpy(to.data(), bytes + at, to.size());
    Must(writer->Commit(to.size()));
    at += to.size();
  }
  Must(writer->Seal({}));
}

uint64_t SumOf(object::ObjectReader& reader) {
  const auto bytes = reader.Bytes();
  if (!bytes) Die("the agent streams what it should share");
  return Sum(bytes->data(), bytes->size());
}

}  // namespace larder::bench
