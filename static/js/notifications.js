/* Turns push messages on for this browser, and says which of the listed devices it is. */
(() => {
  const button = document.querySelector("[data-push-on]");
  const said = document.querySelector("[data-push-said]");
  const { key } = button.dataset;
  const token = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
  const bytesOf = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const isOurs = (subscription) => {
    const own = subscription.options?.applicationServerKey;
    return !own || new Uint8Array(own).join() === bytesOf(key).join();
  };
  const digestOf = async (text) => {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  const look = async () => {
    if (!key) return;
    if (!("PushManager" in window) || !navigator.serviceWorker)
      return (said.textContent =
        "This browser cannot be told by push. On an iPhone or iPad, add the application to the home screen first.");
    const registration = await navigator.serviceWorker.ready;
    const subscription = await registration.pushManager.getSubscription();
    const row = subscription && document.querySelector(`[data-device="${await digestOf(subscription.endpoint)}"]`);
    const isOn = row && isOurs(subscription) && Notification.permission === "granted";
    if (isOn) row.querySelector("[data-this-device]").hidden = false;
    else button.hidden = false;
  };
  const turnOn = async () => {
    if ((await Notification.requestPermission()) !== "granted")
      return (said.textContent = "This browser does not allow messages from here. Its settings for this site say so.");
    const registration = await navigator.serviceWorker.ready;
    const old = await registration.pushManager.getSubscription();
    if (old && !isOurs(old)) await old.unsubscribe();
    const subscription = await registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: bytesOf(key),
    });
    const response = await fetch(button.dataset.pushOn, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
      body: JSON.stringify(subscription),
    });
    if (response.ok) return location.reload();
    said.textContent = (await response.json()).message;
  };

  button.addEventListener("click", () => {
    button.disabled = true;
    turnOn()
      .catch((error) => (said.textContent = `This browser's push service refused: ${error.message}`))
      .finally(() => (button.disabled = false));
  });
  look();
})();
