// Makes torch believe in eight GPUs, for fake tensors, which never ask one to compute anything.
//
// Backward passes of a torch without CUDA refuse tensors on "cuda" for want of two objects that
// its CUDA libraries register: a device guard, which knows devices, streams and events, and hooks,
// which say that there is CUDA. These here do nothing.

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

using namespace c10;

namespace {

constexpr DeviceIndex kDevices = 8;
thread_local DeviceIndex current = 0;

struct Guard final : impl::NoOpDeviceGuardImpl<DeviceType::CUDA> {
  Device exchangeDevice(Device device) const override {
    Device before = getDevice();
    current = device.index();
    return before;
  }
  Device getDevice() const override { return Device(DeviceType::CUDA, current); }
  void setDevice(Device device) const override { current = device.index(); }
  void uncheckedSetDevice(Device device) const noexcept override { current = device.index(); }
  Stream getStream(Device device) const noexcept override {
    return Stream(Stream::DEFAULT, Device(DeviceType::CUDA, device.index() < 0 ? current : device.index()));
  }
  Stream exchangeStream(Stream stream) const noexcept override { return getStream(stream.device()); }
  DeviceIndex deviceCount() const noexcept override { return kDevices; }
  void record(void**, const Stream&, DeviceIndex, EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void recordDataPtrOnStream(const DataPtr&, const Stream&) const override {}
};

struct Hooks final : at::CUDAHooksInterface {
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return kDevices; }
  DeviceIndex getCurrentDevice() const override { return current; }
  DeviceIndex current_device() const override { return current; }
  int getNumGPUs() const override { return kDevices; }
};

const Guard guard;
const Hooks hooks;
void* before = nullptr;

// Hooks are looked up once in a process and then kept, so the object that was found becomes ours:
// neither has anything but its table of functions.
void*& table(const at::CUDAHooksInterface& object) {
  return *reinterpret_cast<void**>(const_cast<at::CUDAHooksInterface*>(&object));
}

auto& registered() {
  return impl::device_guard_impl_registry[static_cast<size_t>(DeviceType::CUDA)];
}

} // namespace

extern "C" void plug_in() {
  before = table(at::detail::getCUDAHooks());
  table(at::detail::getCUDAHooks()) = table(hooks);
  registered().store(&guard);
}

extern "C" void pull_out() {
  table(at::detail::getCUDAHooks()) = before;
  registered().store(nullptr);
}
