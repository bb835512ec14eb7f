// The page of `npm run demo:phones`: two phones, each a client of its own with its own storage and Worker.

import { PhoneView } from './phone-view.ts';

const mailbox = (await (await fetch('/mailbox.json')).json()) as [];
const { token } = (await (await fetch('/token.json')).json()) as { token: string };
const phones = document.querySelector('#phones');
if (phones === null) throw new Error('the page has no place for phones');
for (const name of ['Phone', 'Tablet']) {
  const view = new PhoneView(name, { token, mailbox });
  phones.append(view.element);
  await view.start();
}
document.body.dataset.ready = 'true';
