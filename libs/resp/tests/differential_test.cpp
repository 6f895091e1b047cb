// The same bytes to Debian's redis-server 7.0 and to this library; the replies must be the same bytes. Not compared:
//  - ids of clients, which each server counts for itself: masked;
//  - COMMAND and its subcommands: they list what a server has, and this one has less;
//  - CLIENT SETINFO, which came with 7.2, and the subcommands of CLIENT that this library does not know;
//  - after an HTTP request, how much Redis wrote before it dropped the connection;
//  - times near now: the servers look at their clocks at different moments.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <regex>
#include <string>
#include <vector>

#include "larder/base/testing/temp_dir.h"
#include "larder/resp/testing/memory_commands.h"
#include "tests/server_fixture.h"

using namespace larder;
using namespace larder::resp;

namespace {

// A redis-server of our own on a Unix socket in a temporary directory.
class Redis {
 public:
  Redis() : path_(dir_.path() / "redis.sock") {
    int out[2];
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path_.c_str(), "--save", "", "--appendonly",
             "no", "--dir", dir_.path().c_str(), "--proto-max-bulk-len", "16777216", nullptr);
      _exit(127);
    }
    close(out[1]);
    const base::UniqueFd log(out[0]);
    std::string text;
    char part[4096];
    for (ssize_t got; text.find("ready to accept connections") == std::string::npos;) {
      if ((got = read(log.get(), part, sizeof(part))) <= 0) {
        ADD_FAILURE() << "redis-server does not start (Debian's package redis-server): " << text;
        return;
      }
      text.append(part, static_cast<size_t>(got));
    }
  }
  ~Redis() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Client Connect() {
    base::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address = {.sun_family = AF_UNIX};
    path_.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return Client(std::move(fd));
  }

 private:
  base::TempDir dir_;
  const std::filesystem::path path_;
  pid_t pid_ = -1;
};

constexpr std::string_view kEnd = "$8\r\nthe-end!\r\n";
constexpr size_t kMostInline = 64'000;

std::string Frame(const std::vector<std::string>& words) {
  std::string frame = fmt::format("*{}\r\n", words.size());
  for (const std::string& word : words) frame += fmt::format("${}\r\n{}\r\n", word.size(), word);
  return frame;
}

// Requests by chance: mostly good ones.
class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  std::string Stream() {
    std::string stream;
    for (size_t i = 0, count = Below(60); i < count; ++i) stream += Request();
    if (Below(4) == 0)
      stream += Pick({"*x\r\n", "*1\r\n:3\r\n", "*1\r\n$-1\r\n", "*1\r\n$16777217\r\n", "\"a\r\n", "*01\r\n",
                      "*1\r\n\r\n", "QUIT\r\nPING\r\n", "*2147483648\r\n", "'a'b\n", "POST / HTTP\r\n"});
    return stream + Frame({"ECHO", "the-end!"});
  }
  std::vector<std::string> Parts(const std::string& stream) {
    std::vector<std::string> parts;
    for (size_t at = 0; at < stream.size();) {
      const size_t length = 1 + Below(Below(2) == 0 ? 8 : 2000);
      parts.push_back(stream.substr(at, length));
      at += length;
    }
    return parts;
  }

 private:
  size_t Below(size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random_); }
  std::string Pick(const std::vector<std::string>& from) { return from[Below(from.size())]; }
  std::string Key() { return Pick({"a", "b", "c", "key with blanks", ""}); }
  std::string Value() {
    return Pick({"", "1", "value", std::string("zero\0byte", 9), "line\r\nend", std::string(Below(70000), 'x')});
  }
  std::string Number() {
    return Pick({"1", "10", "100", "0", "-1", "9223372036854775807", "9223372036854775808", "x", "", "01", "1.5",
                 "9223372036854775", "9223372036854776", "15", "16", "2147483648", "4102444800", "4102444800000"});
  }
  // Long ago, never, or long after the test.
  std::string Time() {
    return Pick({"100000", "0", "-1", "9223372036854775807", "9223372036854775808", "x", "", "01000000", "1.5",
                 "9223372036854775", "9223372036854776", "4102444800", "4102444800000"});
  }
  std::string Request() {
    std::vector<std::string> words = Words();
    if (Below(12) == 0) words.push_back(Pick({"extra", "two\r\nlines", std::string(200, 'y')}));
    if (Below(12) == 0 && words.size() > 1) words.pop_back();
    if (Below(6) != 0) return Frame(words);
    std::string line = words[0];
    for (size_t i = 1; i < words.size(); ++i) line += " " + Quoted(words[i]);
    // Whether Redis takes a longer one depends on how much of it one read brings.
    if (line.size() > kMostInline) return Frame(words);
    return line + Pick({"\r\n", "\n"});
  }
  std::string Quoted(const std::string& word) {
    std::string quoted = "\"";
    for (const char c : word) {
      quoted += c >= '!' && c <= '~' && c != '"' && c != '\\' ? std::string(1, c)
                                                              : fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
    return quoted + "\"";
  }
  std::vector<std::string> Words() {
    switch (Below(14)) {
      case 0:
      case 1:
      case 2:
        return SetWords();
      case 3:
      case 4:
      case 5:
        return {Pick({"GET", "get"}), Key()};
      case 6:
        return {"DEL", Key(), Key()};
      case 7:
        return {Pick({"PING", "ping", "RESET", "QUIT2", "CLIENT", "no such", std::string(300, 'z'), "two\r\nlines"})};
      case 8:
        return {Pick({"ECHO", "PING", "Echo", "nope"}), Value()};
      case 9:
        return {"SELECT", Number()};
      case 10:
        return {"CLIENT", "SETNAME", Pick({"me", "", "with blank", "bad\n"})};
      case 11:
        return {"CLIENT", Pick({"GETNAME", "getname", "NOSUCH", "no\r\nsuch"})};
      case 12:
        return HelloWords();
      default:
        return {"AUTH", Pick({"default", "other"}), "password"};
    }
  }
  std::vector<std::string> SetWords() {
    std::vector<std::string> words = {"SET", Key(), Value()};
    for (size_t i = 0, count = Below(4); i < count; ++i) {
      words.push_back(Pick({"NX", "XX", "GET", "KEEPTTL", "EX", "PX", "EXAT", "PXAT", "nx", "get", "bad", "PERSIST"}));
      const bool timed = words.back().starts_with("EX") || words.back().starts_with("PX");
      if (timed && Below(8) != 0) words.push_back(Time());
    }
    return words;
  }
  std::vector<std::string> HelloWords() {
    std::vector<std::string> words = {"HELLO", Pick({"2", "3", "3", "4", "x", ""})};
    if (Below(3) == 0) words.insert(words.end(), {"AUTH", Pick({"default", "other"}), "pass"});
    if (Below(3) == 0) words.insert(words.end(), {"SETNAME", Pick({"name", "bad name"})});
    if (Below(8) == 0) words.push_back("BAD");
    return words;
  }

  std::mt19937_64 random_;
};

std::string Talk(Client client, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    if (!client.Send(part)) break;
  }
  return client.ReadUntil(kEnd);
}

// Ids of clients, HELLO's field, are each server's own.
std::string Masked(const std::string& reply) {
  return std::regex_replace(reply, std::regex("\\$2\r\nid\r\n:\\d+"), "$$2\r\nid\r\n:ID");
}

}  // namespace

TEST(Differential, RepliesAreRedisBytes) {
  Redis redis;
  base::SystemClock clock;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    resp::testing::MemoryCommands commands(clock);
    TestServer server(commands);
    Generator generator(seed);
    const std::string stream = generator.Stream();
    const std::vector<std::string> parts = generator.Parts(stream);
    Client cleaner = redis.Connect();
    cleaner.Send("FLUSHALL\r\n");
    ASSERT_EQ(cleaner.ReadUntil("\r\n"), "+OK\r\n");
    const std::string expected = Masked(Talk(redis.Connect(), parts));
    const std::string actual = Masked(Talk(server.Connect(), parts));
    // Of an HTTP request Redis drops the connection with all that it has not written yet.
    const bool dropped = stream.find("POST / HTTP") != std::string::npos;
    EXPECT_EQ(actual.ends_with(kEnd), expected.ends_with(kEnd)) << "seed " << seed;
    size_t same = 0;
    while (same < std::min(expected.size(), actual.size()) && expected[same] == actual[same]) ++same;
    ASSERT_TRUE(dropped ? actual.starts_with(expected) : expected == actual)
        << "seed " << seed << ", differs at byte " << same
        << "\nredis: " << expected.substr(same > 80 ? same - 80 : 0, 300)
        << "\n\nours: " << actual.substr(same > 80 ? same - 80 : 0, 300);
  }
}
