// A picture as a query: chosen, pasted, or dropped on the page.

import { $, ask } from "/asking.js";

const MOST_BYTES = 16 * 2 ** 20;

// `found` is called with the name that the server gives a picture, `failed` with a message.
export function takePictures(found, failed) {
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    take([...$("file").files], found, failed);
    $("file").value = "";
  });
  addEventListener("paste", (event) => {
    if (take([...event.clipboardData.files], found, failed)) event.preventDefault();
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    take([...event.dataTransfer.files], found, failed);
  });
}

function take(files, found, failed) {
  const picture = files.find((file) => file.type.startsWith("image/"));
  if (picture) send(picture).then(found).catch((error) => failed(error.message));
  else if (files.length) failed("That is no picture.");
  return Boolean(picture);
}

async function send(picture) {
  if (picture.size > MOST_BYTES) throw new Error("The picture has more than 16 MB.");
  const { token } = await ask("/api/token");
  const headers = { "X-Vifi-Token": token, "Content-Type": "application/octet-stream" };
  const answer = await ask("/api/picture", {}, { method: "POST", body: picture, headers });
  showPicture(URL.createObjectURL(picture));
  return answer.picture;
}

export function showPicture(address) {
  const image = $("sent").querySelector("img");
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  $("sent").hidden = !address;
  if (address) image.src = address;
  else image.removeAttribute("src");
}
