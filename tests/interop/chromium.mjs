// A person in Chromium connects a client, looks at the account, and ends the client's access: with a mouse, with
// JavaScript switched off, or by keyboard alone. Anything that the browser complains of fails the walk.
//
//     chromium.mjs ORIGIN WAY          WAY: script, no-script or keyboard; CHROMIUM names the program, SCREENSHOTS the
//                                      folder for pictures, SDKS the folder where the packages are installed

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

const { chromium } = await import(`${process.env.SDKS}/node_modules/playwright-core/index.mjs`);
const [origin, way] = process.argv.slice(2);
const person = { script: 'Ada', 'no-script': 'Ben', keyboard: 'Chiara' }[way];
const CLIENT = "Chromium's <client>";
const MOST_TABS = 60;

const ok = (what) => console.log(`ok ${what}`);
const complaints = [];
const client = await listeningClient();
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});
try {
    const context = await browser.newContext({
        javaScriptEnabled: way !== 'no-script',
        ...(way === 'no-script' ? { viewport: { width: 390, height: 844 }, colorScheme: 'dark' } : {}),
    });
    const page = await context.newPage();
    page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    await walk(page);
    assert.deepEqual(complaints, [], 'the browser complains');
} finally {
    await browser.close();
    client.server.close();
}

async function walk(page) {
    await page.goto(origin);
    await seen(page, 'landing', 'Your own Spotify');
    ok('the landing page');

    await page.goto(client.asks());
    await seen(page, 'consent', CLIENT);
    await press(page, /^Approve/);
    await page.waitForSelector('input[name=person]');
    await seen(page, 'sandbox', 'Who do you want to be?');
    await choose(page, person);
    await press(page, /^Agree$/);
    await page.waitForURL(`${client.redirect}*`);
    const token = await client.exchange();
    assert.equal(await callStatus(token), 200);
    ok(`consent, login as ${person}, and the client's token works`);

    await page.goto(`${origin}/account`);
    await seen(page, 'account', `You are ${person}`);
    assert((await page.textContent('main')).includes(CLIENT), 'the account does not list the client');
    await press(page, /^End the access of/);
    await page.waitForSelector('[role=status]');
    await seen(page, 'account-after', 'No app is connected');
    assert.equal(await callStatus(token), 401);
    ok('the account lists the client; ending its access ends its token');

    // All that a thief could have copied, except who is logged in at the sandbox: there one may stay logged in.
    const cookies = (await page.context().cookies(origin)).filter((cookie) => cookie.name !== 'sandbox_person');
    await press(page, /^Log out$/);
    await page.waitForSelector('text=You are logged out');
    const thief = await browser.newContext();
    await thief.addCookies(cookies);
    const stolen = await thief.newPage();
    await stolen.goto(`${origin}/account`);
    assert((await stolen.textContent('body')).includes('Who do you want to be?'), 'the session outlived the logout');
    ok('logging out ends the session, also for who kept its cookies');
}

/** What a person sees: the words are there, nothing is cut off at the side, and a picture is kept. */
async function seen(page, name, words) {
    const body = (await page.textContent('body')).replaceAll(/\s+/g, ' ');
    assert(body.includes(words), `${name} does not say "${words}": ${body.slice(0, 300)}`);
    await page.screenshot({ path: `${process.env.SCREENSHOTS}/${way}-${name}.png`, fullPage: true });
    if (way === 'no-script') return;
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert(wider <= 0, `${name} is ${wider} pixels wider than the window`);
}

async function press(page, label) {
    if (way !== 'keyboard') {
        await page.getByRole('button', { name: label }).click();
        return;
    }
    await tabTo(page, (focused) => focused.button && label.test(focused.label), String(label));
    await page.keyboard.press('Enter');
}

async function choose(page, name) {
    if (way !== 'keyboard') {
        await page.getByRole('radio', { name: new RegExp(`^\\W*${name}|${name}`) }).first().check();
        return;
    }
    // A group of radio buttons is one stop of the Tab key; the arrows move within.
    await tabTo(page, (focused) => focused.radio, 'the people');
    for (let moved = 0; moved < 20; moved += 1) {
        const { label } = await focus(page);
        if (label.includes(name)) {
            await page.keyboard.press('Space');
            return;
        }
        await page.keyboard.press('ArrowDown');
    }
    assert.fail(`the arrows do not reach ${name}`);
}

async function tabTo(page, wanted, what) {
    for (let tabs = 0; tabs < MOST_TABS; tabs += 1) {
        await page.keyboard.press('Tab');
        const focused = await focus(page);
        assert(focused.visible, `the focus is on something that cannot be seen: ${focused.label}`);
        if (wanted(focused)) return;
    }
    assert.fail(`${MOST_TABS} tabs do not reach ${what}`);
}

function focus(page) {
    return page.evaluate(() => {
        const at = document.activeElement;
        const { width, height } = at.getBoundingClientRect();
        const label = at.getAttribute('aria-label') ?? (at.labels?.[0]?.textContent || at.textContent);
        return {
            button: at.matches('button'),
            radio: at.matches('input[type=radio]'),
            label: label.replaceAll(/\s+/g, ' ').trim(),
            visible: at === document.body || (width > 0 && height > 0),
        };
    });
}

async function callStatus(token) {
    const reply = await fetch(`${origin}/mcp`, {
        method: 'POST',
        headers: {
            authorization: `Bearer ${token}`,
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
    });
    await reply.arrayBuffer();
    return reply.status;
}

/** A client that listens where the browser is sent back to. */
async function listeningClient() {
    let called;
    const server = createServer((request, response) => {
        const url = new URL(request.url, origin);
        if (url.pathname === '/callback') called = url.searchParams;
        response.setHeader('content-type', 'text/html');
        response.end('<!doctype html><title>Done</title><link rel="icon" href="data:,"><p>Back at the client.');
    });
    await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
    const redirect = `http://127.0.0.1:${server.address().port}/callback`;
    const registered = await post('/register', 'application/json', JSON.stringify({
        client_name: CLIENT,
        redirect_uris: [redirect],
    }));
    const verifier = randomBytes(48).toString('base64url');
    const state = randomBytes(16).toString('base64url');
    const common = { client_id: registered.client_id, redirect_uri: redirect, resource: `${origin}/mcp` };
    return {
        server,
        redirect,
        asks: () => `${origin}/authorize?${new URLSearchParams({
            ...common,
            state,
            response_type: 'code',
            code_challenge: createHash('sha256').update(verifier).digest('base64url'),
            code_challenge_method: 'S256',
        })}`,
        async exchange() {
            assert.equal(called.get('state'), state);
            assert.equal(called.get('iss'), origin);
            const form = { ...common, grant_type: 'authorization_code', code: called.get('code'), code_verifier: verifier };
            return (await post('/token', 'application/x-www-form-urlencoded', new URLSearchParams(form))).access_token;
        },
    };
}

async function post(path, kind, body) {
    const reply = await fetch(origin + path, { method: 'POST', headers: { 'content-type': kind }, body });
    assert(reply.ok, `${path} answered ${reply.status}`);
    return reply.json();
}
