#include "larder/config/setting.h"

namespace larder::config {

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kText:
      return "text";
    case Type::kBytes:
      return "size";
    case Type::kTime:
      return "duration";
    case Type::kFlag:
      return "true or false";
    case Type::kInteger:
      return "integer";
    case Type::kReal:
      return "number";
    case Type::kChoice:
      return "choice";
    case Type::kList:
      return "list";
  }
  return "";
}

std::string FlagName(std::string_view path) {
  std::string name = "--";
  for (const char c : path) name += c == '.' || c == '_' ? '-' : c;
  return name;
}

std::string EnvName(std::string_view prefix, std::string_view path) {
  std::string name(prefix);
  for (const char c : path) {
    const bool lower = c >= 'a' && c <= 'z';
    name += c == '.' || c == '-' ? '_' : lower ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

std::string ServiceEnvPrefix(std::string_view service) { return EnvName("LARDER_", service) + "_"; }

}  // namespace larder::config
