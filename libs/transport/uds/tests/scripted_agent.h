#pragma once
#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "larder/arena/arena.h"
#include "larder/object/object.h"
#include "src/socket.h"
#include "src/wire.h"

// The agent's end of data.sock, spoken by hand: a test is the script of what the agent hears and says. Anything else,
// or nothing for ten seconds, throws, which fails the test.
namespace larder::transport::uds {

// Not Request: the agent has one, and programs of both have one destructor of that name.
struct ScriptedRequest {
  Header header;
  std::vector<std::byte> payload;
  base::ByteReader in() const { return base::ByteReader(payload); }
};
// An item of a BATCH, the number of its answer, and the request it belongs to.
struct Item {
  uint16_t number = 0;
  Op op{};
  std::vector<std::byte> payload;
  base::ByteReader in() const { return base::ByteReader(payload); }
};

struct Answer {
  uint16_t item = 0;
  uint32_t code = 0;
  base::ByteWriter payload;
};

// One client's connection.
class AgentEnd {
 public:
  AgentEnd(base::UniqueFd fd) : fd_(std::move(fd)) {}

  // The next request, which must be this one. RENEWs that come before it are answered: nothing has lapsed.
  ScriptedRequest Expect(Op op);
  // The next requests, these two in any order.
  std::pair<ScriptedRequest, ScriptedRequest> Expect(Op one, Op other);
  std::vector<Item> ExpectBatch(ScriptedRequest& batch);
  void Reply(const ScriptedRequest& request, const base::ByteWriter& payload, const std::vector<int>& fds = {});
  void Refuse(const ScriptedRequest& request, absl::StatusCode code, std::string_view reason);
  // One record of answers to a BATCH.
  void Answers(const ScriptedRequest& batch, const std::vector<Answer>& answers, const std::vector<int>& fds = {});
  // A record of the agent's own.
  void Tell(Op op, const base::ByteWriter& payload);
  // Whether the client says nothing for `wait`.
  bool HearsNothing(base::Duration wait);
  // Returns once the client has read all that was said before: it has had an answer that came later.
  void WaitUntilRead();
  // Answers HELLO. `lease_ttl`: three renewals in it.
  void Greet(const ScriptedRequest& hello, base::Duration lease_ttl = std::chrono::seconds(30));
  void Close() { fd_.Reset(); }

  uint64_t earlier_bytes = 0;  // that HELLO told

 private:
  ScriptedRequest Receive();
  ScriptedRequest Next(std::initializer_list<Op> expected);
  void Send(const Header& header, base::ByteSpan payload, const std::vector<int>& fds);
  base::UniqueFd fd_;
};

class ScriptedAgent {
 public:
  // Listens at `directory`/data.sock.
  explicit ScriptedAgent(const std::string& directory);
  // The next client, whose HELLO is not answered yet.
  AgentEnd Meet(ScriptedRequest& hello);
  // The next client, greeted.
  AgentEnd Accept(base::Duration lease_ttl = std::chrono::seconds(30));
  // Nobody can connect any more.
  void Stop();

 private:
  std::string path_;
  base::UniqueFd listener_;
};

object::ObjectInfo Sealed(const std::string& key, uint64_t epoch, uint64_t size);
// Payloads of GET's reply.
base::ByteWriter InlineObject(const std::string& key, uint64_t epoch, std::string_view bytes);
base::ByteWriter StreamObject(uint64_t lease, const std::string& key, uint64_t epoch, uint64_t size);
base::ByteWriter SharedObject(uint64_t lease, const std::string& key, uint64_t epoch,
                              const std::vector<WireExtent>& extents);
// Of an error.
base::ByteWriter ErrorText(std::string_view reason);

}  // namespace larder::transport::uds
