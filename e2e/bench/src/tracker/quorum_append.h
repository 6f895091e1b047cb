#pragma once
#include <memory>
#include <string>
#include <vector>

#include "src/server.h"

namespace larder::bench {

// What a replicated write takes at least: the trackers' log and transport, three processes, and nothing else. The
// leader sends the entry to two followers and writes it; each follower writes it and then answers; done is what the
// leader and one more have synced. No engine, registry or client.
class QuorumAppend {
 public:
  // The followers are this program, called with these words and what they serve.
  static constexpr char kFollowFlag[] = "--serve-append";
  static constexpr int kFollowWords = 4;  // id, directory, own address, leader's address

  QuorumAppend(const std::string& dir, size_t size);
  ~QuorumAppend();
  void Append();

  // Runs until it is killed.
  [[noreturn]] static void Follow(const std::vector<std::string>& words);

 private:
  struct Leader;
  std::unique_ptr<Leader> leader_;
  std::vector<std::unique_ptr<Server>> followers_;
};

}  // namespace larder::bench
