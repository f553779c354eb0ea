// Keys made by OpenSSH's and OpenSSL's own programs, in a folder that removes itself.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/process.h"
#include "base/stream.h"
#include "ssh/private_key.h"
#include "ssh/wire.h"

namespace imagebuild::ssh {

struct KeyKind {
  std::string name;
  std::vector<std::string> options;  // Of ssh-keygen.
};
inline const KeyKind kEveryKind[] = {{"ed25519", {"-t", "ed25519"}},
                                     {"rsa", {"-t", "rsa", "-b", "2048"}},
                                     {"ecdsa256", {"-t", "ecdsa", "-b", "256"}},
                                     {"ecdsa384", {"-t", "ecdsa", "-b", "384"}},
                                     {"ecdsa521", {"-t", "ecdsa", "-b", "521"}}};

class KeyFiles {
 public:
  std::filesystem::path at(std::string_view name) const { return folder_.path() / name; }

  // What the program wrote; the test fails when it fails.
  std::string run(const std::vector<std::string>& argv, const std::string& input = {},
                  const std::vector<std::string>& more_environment = {}) const {
    ProcessSpec spec{.argv = argv, .directory = folder_.path().string(), .stdin_text = input};
    spec.environment = more_environment;
    spec.environment->push_back("PATH=/usr/local/bin:/usr/bin:/bin");
    spec.environment->push_back("HOME=" + folder_.path().string());
    const Result<ProcessResult> result = SystemProcessRunner().run(spec);
    EXPECT_TRUE(result.ok()) << result.error().message;
    if (!result.ok()) return {};
    EXPECT_EQ(result->exit_status, 0) << argv[0] << ": " << result->stdout_text << result->stderr_text;
    return result->stdout_text;
  }

  // `name`, and `name`.pub beside it.
  std::string make(const std::string& name, const std::vector<std::string>& options, const std::string& comment = "c",
                   const std::string& passphrase = {}) const {
    std::vector<std::string> argv = {"ssh-keygen", "-q", "-f", name, "-N", passphrase, "-C", comment};
    argv.insert(argv.end(), options.begin(), options.end());
    run(argv);
    return read(name);
  }

  std::string read(std::string_view name) const {
    const Result<std::string> text = read_file(at(name), 1U << 20U);
    EXPECT_TRUE(text.ok()) << name;
    return text.ok() ? *text : std::string();
  }
  void write(std::string_view name, std::string_view text) const {
    EXPECT_TRUE(write_file_atomically(at(name), text, 0600).ok());
  }

 private:
  TempDir folder_ = *TempDir::create("ssh-test-");
};

inline std::string base64(std::span<const std::byte> bytes) {
  std::string text(bytes.size() / 3 * 4 + 5, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

// What is between the lines of dashes, decoded.
inline Bytes armoured_content(std::string_view pem) {
  std::string text(pem.substr(pem.find('\n') + 1));
  text.resize(text.find('-'));
  std::erase(text, '\n');
  Bytes bytes(text.size() / 4 * 3);
  EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), reinterpret_cast<const unsigned char*>(text.data()),
                  static_cast<int>(text.size()));
  const std::size_t padding = text.size() - std::min(text.find('='), text.size());
  bytes.resize(bytes.size() - padding);
  return bytes;
}

inline std::string in_openssh_armour(std::span<const std::byte> bytes) {
  const std::string content = base64(bytes);
  std::string text = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
  for (std::size_t i = 0; i < content.size(); i += 70) text += content.substr(i, 70) + "\n";
  return text + "-----END OPENSSH PRIVATE KEY-----\n";
}

}  // namespace imagebuild::ssh
