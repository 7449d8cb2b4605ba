// Passkeys: the one thing on these pages that only a script can do. It hands the form's question to
// the browser and the browser's answer to the form.
"use strict";

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer ?? [])))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

async function answer(form) {
  const { challenge, rp, credentials } = form.querySelector("[data-challenge]").dataset;
  const known = credentials.split(" ").filter(Boolean)
    .map((id) => ({ type: "public-key", id: toBytes(id) }));
  const common = { challenge: toBytes(challenge), timeout: 300000 };
  if (form.dataset.passkey === "create") {
    const { userId, userName, userTitle, site, algorithms } = form.dataset;
    const { rawId, response } = await navigator.credentials.create({ publicKey: {
      ...common,
      rp: { id: rp, name: site },
      user: { id: toBytes(userId), name: userName, displayName: userTitle },
      pubKeyCredParams: algorithms.split(" ").map((alg) => ({ type: "public-key", alg: Number(alg) })),
      excludeCredentials: known,
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
    } });
    return {
      credential_id: rawId, client_data: response.clientDataJSON,
      attestation_object: response.attestationObject,
    };
  }
  const { rawId, response } = await navigator.credentials.get({ publicKey: {
    ...common, rpId: rp, allowCredentials: known, userVerification: "required",
  } });
  return {
    credential_id: rawId, client_data: response.clientDataJSON,
    authenticator_data: response.authenticatorData, signature: response.signature,
    user_handle: response.userHandle,
  };
}

if (window.PublicKeyCredential) {
  for (const part of document.querySelectorAll("form[data-passkey], [data-with-passkey]")) {
    part.hidden = false;
  }
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const problem = form.querySelector("[data-problem]");
      problem.hidden = true;
      try {
        for (const [name, bytes] of Object.entries(await answer(form))) {
          const input = document.createElement("input");
          Object.assign(input, { type: "hidden", name, value: toText(bytes) });
          form.append(input);
        }
      } catch {
        problem.hidden = false;
        return;
      }
      HTMLFormElement.prototype.submit.call(form);
    });
  }
} else {
  for (const part of document.querySelectorAll("[data-without-passkey]")) part.hidden = false;
}
