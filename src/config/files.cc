// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "config/words.h"

namespace postern::config {
namespace {

// A chain of a hundred certificates has about 200 KiB; the roots of a distribution have about the same.
constexpr size_t pem_size_max = 4 << 20;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

std::string errno_fault(int error) {
  std::string fault = std::string("cannot be read: ") + strerror(error) + ". ";
  if (error == ENOENT || error == ENOTDIR) return fault + "Correct the path, or put the file there.";
  if (error == EACCES) return fault + "Let the user who starts Postern read it and its folder.";
  return fault + "Look at the file and its disk.";
}

bool has(const std::string& bytes, std::string_view mark) {
  return bytes.find(mark) != std::string::npos;
}
bool has_certificate(const std::string& bytes) {
  return has(bytes, "-----BEGIN CERTIFICATE-----");
}
bool has_key(const std::string& bytes) {
  return has(bytes, "PRIVATE KEY-----");
}
bool has_locked_key(const std::string& bytes) {
  return has(bytes, "-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(bytes, "Proc-Type: 4,ENCRYPTED");
}

// The setting that names a PEM file. Nothing is checked of one that is not in the file or was not understood.
struct Named {
  Draft& draft;
  std::string_view section, name;
  size_t index;
  const std::string& path;

  bool given() const { return !path.empty() && draft.find(section, name, index) != nullptr; }
  void wrong(const std::string& what) const {
    draft.problem(draft.place(section, name, index), std::string(name) + " " + quoted(path) + " " + what);
  }
};

void check_certificates(const Named& named) {
  if (!named.given()) return;
  FileText file = read_file(named.path, pem_size_max);
  if (!file.fault.empty()) return named.wrong(file.fault);
  if (has_certificate(file.bytes)) return;
  named.wrong(has_key(file.bytes)
                  ? "holds a private key and no certificate. Are chain and key the wrong way round?"
                  : "holds no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\"). From DER it is made by: "
                    "openssl x509 -inform der -in FILE -out FILE.pem");
  wipe(file.bytes);
}

void check_key(const Named& named) {
  if (!named.given()) return;
  FileText file = read_file(named.path, pem_size_max);
  if (!file.fault.empty()) return named.wrong(file.fault);
  if (has_locked_key(file.bytes)) {
    named.wrong(
        "is locked with a passphrase, and nobody is there to type it. Unlock it by: "
        "openssl pkey -in FILE -out FILE.unlocked");
  } else if (!has_key(file.bytes)) {
    named.wrong(has_certificate(file.bytes)
                    ? "holds a certificate and no private key. Are chain and key the wrong way round?"
                    : "holds no private key in PEM form (\"-----BEGIN PRIVATE KEY-----\"). From DER it is made by: "
                      "openssl pkey -inform der -in FILE -out FILE.pem");
  } else if (file.open_to_all) {
    named.draft.warning(
        named.draft.place(named.section, named.name, named.index),
        "key " + quoted(named.path) + " can be read by every user of this machine. Close it by: chmod o= FILE");
  }
  wipe(file.bytes);
}

}  // namespace

FileText read_file(const std::string& path, size_t size_max) {
  FileText file;
  // Without O_NONBLOCK, opening a pipe would wait for its writer.
  const Descriptor descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (descriptor.number() < 0 || fstat(descriptor.number(), &status) != 0) {
    file.fault = errno_fault(errno);
    return file;
  }
  if (!S_ISREG(status.st_mode)) {
    file.fault = S_ISDIR(status.st_mode) ? "is a folder. Name a file in it." : "is no ordinary file. Name one.";
    return file;
  }
  file.open_to_all = (status.st_mode & S_IROTH) != 0;
  // One byte more than allowed, so that a file that is too long shows itself even when it grows meanwhile.
  const size_t size = std::min(static_cast<size_t>(status.st_size), size_max) + 1;
  file.bytes.resize(size);
  size_t filled = 0;
  while (filled < size) {
    const ssize_t got = read(descriptor.number(), file.bytes.data() + filled, size - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) file.fault = errno_fault(errno);
    if (got <= 0) break;
    filled += static_cast<size_t>(got);
  }
  if (filled > size_max) {
    file.fault = "is larger than " + size_text(size_max) + ", which is not what belongs here. Correct the path.";
  }
  file.bytes.resize(filled);
  return file;
}

void check_folder(const Named& named) {
  struct stat status {};
  if (!named.path.starts_with('/')) return named.wrong("is no path that begins with a slash.");
  if (stat(named.path.c_str(), &status) != 0) return named.wrong(errno_fault(errno));
  if (!S_ISDIR(status.st_mode)) named.wrong("is a file. Name a folder, or put the file into a [[tls.certificate]].");
}

void check_files(Draft& draft) {
  for (const std::string& folder : draft.config.tls.folders)
    check_folder({draft, "tls", "folders", 0, folder});
  const std::vector<tls::CertificateOptions>& certificates = draft.config.tls.certificates;
  for (size_t i = 0; i < certificates.size(); ++i) {
    check_certificates({draft, "tls.certificate", "chain", i, certificates[i].chain});
    check_key({draft, "tls.certificate", "key", i, certificates[i].key});
  }
  const std::vector<session::PoolOptions>& pools = draft.config.session.pools;
  for (size_t i = 0; i < pools.size(); ++i) {
    check_certificates({draft, "pool", "tls_ca", i, pools[i].tls_ca});
    check_certificates({draft, "pool", "tls_certificate", i, pools[i].tls_certificate});
    check_key({draft, "pool", "tls_key", i, pools[i].tls_key});
  }
  const std::vector<session::ListenerOptions>& listeners = draft.config.session.listeners;
  for (size_t i = 0; i < listeners.size(); ++i)
    check_certificates({draft, "listen", "client_ca", i, listeners[i].client_ca});
}

}  // namespace postern::config
